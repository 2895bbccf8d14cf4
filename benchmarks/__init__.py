"""``make bench``: measures the README's figures. Speeds are ratios within one run, because other programs disturb."""
