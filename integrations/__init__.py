"""What other people's frameworks want to hold in their hands; each file only translates."""
