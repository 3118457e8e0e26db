// server/version: the server's version number and edition
// access: read
// return version STRING such as 5.26.18
// return edition STRING community or enterprise
CALL dbms.components() YIELD name, versions, edition
WITH name, versions[0] AS version, edition WHERE name = 'Neo4j Kernel'
RETURN version, edition
