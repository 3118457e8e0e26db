// import/lease_holders: how many transactions hold or wait for the import's lease, ours among them
// access: read
// return holders INTEGER
SHOW TRANSACTIONS YIELD metaData
WHERE metaData.statement = 'import/hold_lease'
RETURN count(*) AS holders
