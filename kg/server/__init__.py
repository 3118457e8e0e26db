"""How do Neo4j, Redis and Korvai's own processes run on a machine that has none of them installed?"""
