from .sonata import Sonata
