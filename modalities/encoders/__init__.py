"""How content becomes vectors: one file per family of models."""
