"""Graphics processors of a cluster: counted, reserved, waited for."""
