// schema/015_prediction_key: a Prediction is known by its id: the embedding set's and the item's key
// access: schema
CREATE CONSTRAINT korvai_prediction_id IF NOT EXISTS FOR (n:Prediction) REQUIRE n.id IS UNIQUE
