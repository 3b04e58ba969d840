"""Sampling rollouts from π_θ and from π_mix."""
