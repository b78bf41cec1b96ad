"""Tiny random models of transformers' real classes, saved as a hub has them.
"""
import torch

from sam3d_plugin.preparation.transformers_models import import_transformers

_DECODER = dict(
    hidden_size=32, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16)
# Weights made larger, so that masks depend on image and prompt.
_CONTRAST = ('point_embed', 'image_to_token', 'upscale', 'hypernetworks',
             'blocks', 'layers', 'neck', 'patch_embed', 'token_to_image')


def save(folder, model, processor):
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def sharpened(model):
    """Random weights that find masks of many shapes."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if 'norm' in name:
                continue
            if any(part in name for part in _CONTRAST):
                torch.nn.init.normal_(weight, std=.3)
    return model.eval()


def _prompts(side, patch):
    return dict(
        hidden_size=32,
        image_size=side,
        patch_size=patch,
        mask_input_channels=8)


def save_sam2(folder, seed=5):
    t = import_transformers()
    torch.manual_seed(seed)
    backbone = t.Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[64, 64],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        blocks_per_stage=[1, 1, 2, 1],
        window_size_per_stage=[4, 2, 2, 2],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[2, 2])
    vision = t.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=32)
    model = t.Sam2Model(
        t.Sam2Config(
            vision_config=vision,
            prompt_encoder_config=_prompts(64, 16),
            mask_decoder_config=_DECODER))
    return save(folder, sharpened(model),
                t.Sam2ImageProcessor(size=dict(height=64, width=64)))


def save_sam3(folder, seed=0):
    t = import_transformers()
    torch.manual_seed(seed)
    vision = t.Sam3VisionConfig(
        backbone_config=dict(
            model_type='sam3_vit_model',
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=56,
            patch_size=14,
            window_size=2,
            global_attn_indexes=[1],
            pretrain_image_size=28),
        fpn_hidden_size=32,
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]])
    model = t.Sam3TrackerModel(
        t.Sam3TrackerConfig(
            vision_config=vision,
            prompt_encoder_config=_prompts(56, 14),
            mask_decoder_config=_DECODER))
    return save(
        folder, sharpened(model),
        t.Sam3ImageProcessor(
            size=dict(height=56, width=56),
            image_mean=[.5] * 3,
            image_std=[.5] * 3))


def save_dinov3(folder):
    t = import_transformers()
    torch.manual_seed(0)
    model = t.DINOv3ViTModel(
        t.DINOv3ViTConfig(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            patch_size=8,
            num_register_tokens=4))
    return save(folder, model, t.DINOv3ViTImageProcessor())


def _siglip_vision(**changes):
    return dict(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        patch_size=8,
        **changes)


def save_siglip(folder):
    """SigLIP 2 of a fixed resolution, with its text model beside it."""
    t = import_transformers()
    torch.manual_seed(0)
    text = dict(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        vocab_size=9,
        projection_size=16)
    config = t.SiglipConfig(
        vision_config=_siglip_vision(image_size=32), text_config=text)
    return save(folder, t.SiglipModel(config), t.SiglipImageProcessor())


def save_siglip2(folder):
    """SigLIP 2 of any aspect ("NaFlex")."""
    t = import_transformers()
    torch.manual_seed(0)
    config = t.Siglip2VisionConfig(**_siglip_vision(num_patches=16))
    return save(folder, t.Siglip2VisionModel(config),
                t.Siglip2ImageProcessor(patch_size=8))
