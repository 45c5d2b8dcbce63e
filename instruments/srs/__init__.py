"""Stanford Research Systems: SIM900 mainframe, SIM960 PID controller."""
