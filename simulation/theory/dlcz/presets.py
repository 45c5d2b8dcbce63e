"""Parameter sets that reproduce published measurements."""

from dataclasses import replace
from typing import Final, Literal

from simulation.theory.dlcz.parameters import DLCZParameters

DataSet = Literal["optimal", "extended"]

_CHANGES: Final[dict[str, dict[str, float]]] = {
    "optimal": {},
    "extended": {"eta_1": 0.4874, "eta_2": 0.8092, "n_heat_A": 0.0776, "n_heat_B": 0.0506},
}


def riedinger2018(data_set: DataSet = "optimal") -> DLCZParameters:
    """Witness measurement of seed 003: parameters whose expected counts are the published ones.

    Published values are kept where the paper gives them; what it does not give is chosen to match
    its counting statistics. Expected against published counts, ``optimal``, 1.114e9 trials:
    C(p) 111400 / 183900 (111134 / 184114), C(r) 108400 / 167700 (108723 / 167427), C(r1p1, r2p1,
    r1p2, r2p2) 13, 139, 140, 34 (9, 130, 129, 37); every one within 1.5 σ.

    ============================  =================================================================
    published                     ``p_pump_X``, ``lifetime_X``, ``delay``, ``delta_omega_hz``,
                                  ``delta_phi`` = 0.2π; phonons at the read, 0.114 and 0.065
                                  (0.119(28) and 0.069(14)), split into ``n_0_X`` = ``n_env_X``
                                  (60 mK gives 0.017; A is less well thermalised) and ``n_heat_X``
                                  (about 0.03 from the pump, 0.05 from the read); leaks of 4.2 % and
                                  3.2 % per transferred phonon at detectors 1 and 2, taken in the
                                  pump gate too; ``dark_j`` at 2.9e-3 and 3.2e-3 of the clicks
    chosen                        ``eta_X``: balanced heralds; ``eta_j``: unequal singles, only
                                  the products ``eta_X eta_j`` matter; ``splitting`` exactly 0.5
                                  (0.6 % off in the paper)
    chosen against the text       ``p_read_X`` 4.2 % and 6.0 % (the text: about 3.4 %): herald and
                                  coincidence rates together need them
    chosen, phase                 ``phi_0``: fringe maximum at Δφ = 0.1π, halfway between the two
                                  settings 0 and 0.2π the paper pools; its counts of the same
                                  detector ask for this distance
    ``extended`` changes          ``eta_j`` by 0.5 % and ``n_heat_X`` by 0.0024, for the rates of
                                  the longer run
    ============================  =================================================================

    Parameters
    ----------
    data_set : {"optimal", "extended"}
        The optimal phase, or the extended phase region (1.949e9 trials).

    Returns
    -------
    DLCZParameters

    Raises
    ------
    ValueError
        If `data_set` is unknown.
    """
    if data_set not in _CHANGES:
        message = f"`data_set` must be one of {', '.join(_CHANGES)}, but is {data_set!r}"
        raise ValueError(message)
    return replace(DLCZParameters(), **_CHANGES[data_set])


def riedinger2018_matched() -> DLCZParameters:
    """Witness measurement of seed 003 with arms whose read fluxes agree as the paper says.

    The supplement, "Entanglement witness and Systematic Errors", puts the read fluxes of arms with
    balanced heralds 5 to 10 % apart; the central values of the published phonon numbers, as in
    `riedinger2018`, put them 47 % apart. Here the phonons at the read are 0.093 and 0.082, each
    within its published error (0.119(28) and 0.069(14)), and the fluxes 9 % apart. Efficiencies and
    ``p_read_X`` follow the published counts, every one within 1.5 σ. The virtual lab is set up so.
    """
    return replace(
        riedinger2018(),
        n_0_A=0.030, n_env_A=0.030, n_heat_A=0.0635, p_read_A=0.0430,
        n_0_B=0.031, n_env_B=0.031, n_heat_B=0.0515, p_read_B=0.0612,
        eta_B=0.0238, eta_1=0.4880, eta_2=0.8130,
    )  # fmt: skip
