"""How do models learn from graph and image? Engine, recipes, losses and metrics; never imports neo4j, celery or fastapi."""
