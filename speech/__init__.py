"""Sound -> ARKit blendshapes, head and phones, streaming; emotion, life, takes."""
