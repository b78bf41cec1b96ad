"""What a step costs, whether its files are whole, how they look."""
