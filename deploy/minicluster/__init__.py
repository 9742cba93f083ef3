"""Real HDFS, YARN, S3 and GCS services on one machine, for tests and for trying ExoShard."""
