"""Pure judgement: features, hazard, forecast, policy, explanation."""
