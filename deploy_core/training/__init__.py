"""Scripts that train, measure and ship the embedded model. No other module imports them."""
