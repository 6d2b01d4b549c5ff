"""What bench/run, bench/translator and the test of the benchmark's programs share."""
