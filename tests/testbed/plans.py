"""What the policy has granted, for tests of what comes then."""

from __future__ import annotations

from af_hub.spawner.policy.plan import Plan

SMALL = Plan(
    profile="small",
    title="Small",
    cpu=1,
    ram=2**30,
    gpu=0,
    gpu_product=None,
    environment=(),
    max_lifetime=None,
)
