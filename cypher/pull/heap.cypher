// pull/heap: how much memory has each part of the server's heap held at most since the server started?
// access: read
// return pool STRING  name of the part
// return peak INTEGER bytes
CALL dbms.queryJmx('java.lang:type=MemoryPool,name=*') YIELD name, attributes
WITH name, attributes WHERE attributes.Type.value = 'HEAP'
RETURN name AS pool, attributes.PeakUsage.value.properties.used AS peak
