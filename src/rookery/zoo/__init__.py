"""The zoo: architectures we know, and how their published weights become a model version."""
