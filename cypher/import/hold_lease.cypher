// import/hold_lease: wait until no other import runs, and keep others waiting until this transaction ends
// access: write
// return held INTEGER   1
MERGE (b:Batch {id: 'lease'})
DELETE b
RETURN count(*) AS held
