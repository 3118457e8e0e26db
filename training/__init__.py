"""How do models learn from graph and image? Engine, recipes, losses, metrics; without neo4j, celery and fastapi."""
