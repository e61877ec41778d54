"""Labs in pods of a Kubernetes cluster."""
