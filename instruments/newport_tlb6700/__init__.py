"""New Focus (Newport) TLB-6700 tunable laser."""
