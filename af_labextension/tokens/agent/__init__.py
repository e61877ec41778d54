"""oidc-agent's protocol: `oidc-token` and programs built on liboidcagent work in the Lab.

The protocol is that of oidc-agent 4.2.6 as observed: one connection is one request; keys are
exchanged, then request and answer are JSON in encrypted boxes.
"""
