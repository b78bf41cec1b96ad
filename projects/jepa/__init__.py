from .jepa import JEPA
