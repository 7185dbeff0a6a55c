"""Load tests and the scripted provider that both they and the test suite talk to."""
