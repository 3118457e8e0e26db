"""How do whole graphs get into the database quickly, and out of it and back as backups?"""
