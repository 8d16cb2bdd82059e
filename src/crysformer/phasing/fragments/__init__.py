"""Fragment search: pieces of ideal secondary structure as first phases, completed in direct space.

After ARCIMBOLDO (Rodriguez et al., Nat. Methods 6, 651, 2009): at atomic resolution a dozen
residues in the right place are enough for density modification to find the rest.
"""
