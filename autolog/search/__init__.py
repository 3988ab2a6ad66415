"""What can be asked of the traces in a store."""
