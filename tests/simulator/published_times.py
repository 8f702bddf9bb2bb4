"""Stage times that papers print, for the tests of rooflines and serving.

MagicDec (arXiv:2408.11049), Table 3: Llama-2-7B with a TinyLlama draft that
keeps 512 tokens, 8 x A100, gamma = 2. Columns: context, batch, gamma T_D, T_V,
tokens per round, T_AR, T_SD [ms], speedup.
"""

import numpy as np

MAGICDEC = np.array(
    [
        [1024, 32, 8.21, 9.55, 2.19, 8.27, 8.70, 0.95],
        [1024, 48, 8.46, 10.66, 2.19, 9.41, 9.33, 1.01],
        [1024, 64, 9.26, 13.05, 2.19, 10.83, 10.80, 1.00],
        [1024, 128, 12.04, 18.87, 2.19, 14.02, 14.83, 0.94],
        [4000, 32, 8.46, 13.21, 2.19, 11.89, 10.52, 1.13],
        [4000, 48, 8.71, 16.19, 2.19, 14.39, 12.02, 1.20],
        [4000, 64, 9.35, 21.83, 2.19, 19.28, 14.88, 1.30],
        [4000, 128, 12.31, 33.82, 2.19, 28.77, 21.78, 1.32],
        [8000, 32, 8.61, 18.40, 2.18, 16.53, 13.02, 1.27],
        [8000, 48, 8.91, 23.67, 2.18, 21.45, 15.58, 1.38],
        [8000, 64, 9.58, 34.32, 2.18, 31.49, 20.80, 1.51],
        [8000, 128, 12.54, 53.78, 2.18, 49.89, 31.25, 1.60],
        [16000, 32, 8.78, 27.79, 2.17, 26.28, 17.46, 1.50],
        [16000, 64, 9.92, 58.14, 2.17, 55.08, 31.99, 1.72],
        [24000, 32, 8.68, 37.57, 2.16, 35.70, 22.05, 1.62],
        [32000, 32, 8.83, 47.35, 2.17, 44.94, 26.55, 1.69],
    ]
)


def h100_step_seconds(num_tokens, context, batch):
    """Llama-3.1-8B on one H100: coefficients of the simulator of arXiv:2601.11580.

    Fitted by its authors to InstructCoder at batch 1, 8, 16, 32, 64.
    """
    tokens = np.asarray(num_tokens) * np.asarray(batch)
    kv_tokens = np.asarray(context) * np.asarray(batch)
    return 5.88590713e-3 + 2.10103129e-5 * tokens + 3.92645679e-8 * kv_tokens
