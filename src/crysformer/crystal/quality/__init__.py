"""What the amplitudes tell about the crystal before anything is phased."""
