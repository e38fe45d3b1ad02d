"""Which trial runs where and when: the state machine, the coordinator's loop, the executors."""
