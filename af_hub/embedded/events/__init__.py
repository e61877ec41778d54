"""Simulated di-muon events, in the shape that a CMS physicist knows as NanoAOD.

A toy Monte Carlo, good enough that an analysis written for it looks like a real one:

- Drell-Yan: the Z as a relativistic Breit-Wigner (running width) plus the photon continuum,
  decayed with the lepton's ``1 + cos² θ`` distribution and boosted to the laboratory;
- prompt muon pairs without a resonance (top quarks, W pairs);
- non-prompt muons from heavy flavour: soft, not isolated, displaced, of any charge;
- detector: acceptance, efficiency, momentum resolution that worsens with |η| and momentum,
  isolation, impact parameters, trigger turn-on, missing momentum, pile-up.

`processes` holds the physics, `detector` what is measured, `dataset` the branches and the files.
Units are GeV and cm. The same seed always gives the same events.
"""
