"""A whole facility on one machine: starters of its parts, their wiring, their supervision.

``run`` prepares the machine (`setup`), takes the data folder (`layout`, `instance`), chooses ports
and writes secrets, certificates and the facility file (`assembly`), and starts every part as a
child process under a `supervisor`. A `guard` sees to it that nothing survives the parent. Each
``*_part`` function starts one real part; the tests wrap the same functions.
"""
