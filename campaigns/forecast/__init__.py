"""The delivery forecast of a campaign: a simulation of the fleet by the rules that govern sending."""
