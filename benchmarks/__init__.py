"""What the README's figures come from: ``make bench``. Ratios within one run, because machines are shared and noisy."""
