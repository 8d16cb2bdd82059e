"""Chemical components: restraints made from their definitions, where no dictionary has them."""
