"""A real Kubernetes of one node, in a network namespace of this machine.

From the pure to what touches the machine::

    settings     names, folders and addresses of one cluster
    recipes      command lines and configuration files of its parts (pure)
    policies     NetworkPolicies as rules of nftables (pure)
    tools        programs: built from Go modules, or taken from a wheel
    images       OCI archives of a single program
    pki          authorities, certificates, kubeconfigs
    store        images in the node's store
    processes    starting and finding processes
    host         namespace, control groups, mounts and what else a cluster leaves behind
    demands      what this machine has to have, each with its sentence
    extras       parts on demand: metrics-server, KWOK
    node         up, down, status
    enforcer     the process that keeps the rules of `policies` in force
    cluster      what tests see
    pods, scale  pods of the tests; many nodes and pods that are none
    second       a cluster of a test's own, to be broken
    fixtures     the same for pytest
"""
