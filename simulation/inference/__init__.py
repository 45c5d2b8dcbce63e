"""The DLCZ model turned round: from all data of a campaign to the posterior of its parameters."""
