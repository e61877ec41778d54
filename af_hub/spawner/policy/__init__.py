"""What users may have: the catalogue as offers, a request, a decision. Pure."""
