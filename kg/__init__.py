"""The knowledge graph: settings, schemas, servers, the driver, importers, snapshots, encoders and publishing."""
