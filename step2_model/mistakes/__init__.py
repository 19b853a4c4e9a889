"""Known wrong implementations of step 2 with what is wrong about them, and right ones in other styles."""
