package natsbridge

// What tests of the package from without look at.
var (
	BucketKey = bucketKey
	StateKey  = stateKey
)
