"""From a pulse sequence to what each device must be told, in volts and samples."""

from labkit.compiler.programs import (
    Calibration,
    DrivePrograms,
    ModulatorProgram,
    Programs,
    compile_sequence,
)

__all__ = ["Calibration", "DrivePrograms", "ModulatorProgram", "Programs", "compile_sequence"]
