"""XRootD doors: the bindings run in a process of their own, started when a door is first opened."""
