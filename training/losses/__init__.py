"""What do the recipes minimise? One loss per file, each checked against a slow reference in tests."""
