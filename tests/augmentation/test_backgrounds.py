"""Other backgrounds: the leaf stays, the rest is a texture of the draws alone."""

import torch

from leafdist.augmentation.backgrounds import hashed, redrawn, textures

DRAWS = torch.rand(6, 4, dtype=torch.float64, generator=torch.manual_seed(1))


def test_leaves_stay_and_backgrounds_change() -> None:
    photos = torch.randint(0, 256, (6, 20, 20, 3), dtype=torch.uint8)
    masks = torch.zeros(6, 20, 20, dtype=torch.uint8)
    masks[:, :, :12], masks[:, :, 12] = 255, 51
    masks[2] = 255
    draws, before = DRAWS.clone(), photos.clone()
    draws[:, 0] = torch.tensor([0.1, 0.6, 0.2, 0.4999, 0.5, 0.3])
    found = redrawn(photos, masks, draws, 0.5)
    assert torch.equal(photos, before), "a rank may augment a row twice, as its own and as a partner"
    assert found.dtype == torch.uint8
    for row in (1, 2, 4):
        assert torch.equal(found[row], photos[row]), "not drawn, or leaf throughout"
    drawn = textures(draws[:, 1:], 20)
    for row in (0, 3, 5):
        assert torch.equal(found[row, :, :12], photos[row, :, :12])
        torch.testing.assert_close(found[row, :, 13:].float(), drawn[row, :, 13:], atol=0.51, rtol=0)
        edge = 0.2 * photos[row, :, 12] + 0.8 * drawn[row, :, 12]
        torch.testing.assert_close(found[row, :, 12].float(), edge, atol=0.51, rtol=0)


def test_textures_are_of_draws_alone() -> None:
    whole = textures(DRAWS[:, 1:], 24)
    assert all(torch.equal(textures(DRAWS[row : row + 1, 1:], 24)[0], whole[row]) for row in range(6))
    assert len({tuple(texture[0, 0].tolist()) for texture in whole}) == 6
    assert 0 <= whole.min() < whole.max() <= 255
    assert whole.std((1, 2)).mean() > 10, "not one colour"


def test_numbers_are_lowbias32() -> None:
    """By the definition, in Python's whole numbers; their values are part of the protocol."""

    def mixed(value: int) -> int:
        value = ((value ^ value >> 16) * 0x7FEB352D) % 2**32
        value = ((value ^ value >> 15) * 0x846CA68B) % 2**32
        return value ^ value >> 16

    first, second = (int(draw * 2**32) for draw in DRAWS[0, :2].tolist())
    expected = [(mixed(mixed(place ^ first) ^ second) >> 8) / 2**24 for place in range(5)]
    assert hashed(DRAWS[:, :2], 5)[0].tolist() == expected
