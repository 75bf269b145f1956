"""How each kind of file becomes segments, and how content becomes vectors."""
