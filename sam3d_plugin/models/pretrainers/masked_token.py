"""Stage 2: a student predicts the frozen teacher from visible tokens."""
from typing import Any, Dict, List, Optional

from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor

from sam3d_plugin.structures import PointTokens
from ...store.errors import UserError
from .masked import MaskedPointPretrainer, MaskedPrediction
from .tokens import build_slot

STARTS = ('scratch', 'teacher')


@MODELS.register_module()
class MaskedTokenPretrainer(MaskedPointPretrainer):
    """Masked token prediction (paper, section 3.4).

    L = L_ins + L_token: the scene feature of the visible tokens against the
    teacher's of all tokens, and masked decoder tokens against the teacher's.

    Args:
        backbone (dict): Config of the student's ``TokenEncoder``.
        decoder (dict): Config of a ``MaskedTokenDecoder``.
        target_generator (dict): Config of ``TeacherTokenTargets``; the
            teacher is built like the student unless it says otherwise.
        global_head (Optional[dict]): Config of the head of L_ins. Defaults
            to None, for no such loss.
        init_student (str): ``'scratch'``, or ``'teacher'`` to start from the
            teacher's weights. Defaults to ``'scratch'``.
        region_head (Optional[dict]): Config of stage 1's head, to keep its
            loss beside the others: all tokens are encoded and decoded once
            more. Not in the paper. Defaults to None.
        **kwargs (Any): See :class:`MaskedPointPretrainer`.
    """

    def __init__(self,
                 *,
                 backbone: dict,
                 decoder: dict,
                 target_generator: dict,
                 global_head: Optional[dict] = None,
                 init_student: str = 'scratch',
                 region_head: Optional[dict] = None,
                 **kwargs: Any) -> None:
        if init_student not in STARTS:
            raise UserError(f'init_student {init_student!r} is unknown; '
                            f'choose one of {", ".join(STARTS)}')
        if 'transformer' not in decoder:
            raise UserError('decoder of MaskedTokenPretrainer must be a '
                            'MaskedTokenDecoder, which has a transformer')
        modules = dict(
            embedding=backbone['embedding'],
            encoder=backbone['encoder'],
            decoder=decoder['transformer'])
        if region_head is not None:
            modules['head'] = region_head
        super().__init__(
            backbone=backbone,
            decoder=decoder,
            target_generator={
                'modules': modules,
                **target_generator
            },
            **kwargs)
        self.global_head = build_slot(global_head)
        self.region_head = build_slot(region_head)
        self.region_targets = MODELS.build(dict(type='RegionFeatureTargets'))
        self.init_student = init_student

    def init_weights(self) -> None:
        """Initialize, and copy the teacher where the student starts so."""
        super().init_weights()
        if self.init_student == 'teacher':
            teacher = self.target_generator.teacher
            student = dict(
                embedding=self.backbone.embedding,
                encoder=self.backbone.encoder,
                decoder=self.decoder.transformer)
            for name, module in student.items():
                module.load_state_dict(teacher[name].state_dict())
            if self.region_head is not None:
                # Not its loss, whose weights may be of another kind.
                self.region_head.proj.load_state_dict(
                    teacher['head'].proj.state_dict())

    @property
    def parts_of_teacher(self) -> str:
        """str: What starts from the teacher's weights, in words."""
        is_copied = self.init_student == 'teacher'
        return 'encoder and decoder' if is_copied else ''

    @property
    def needs_regions(self) -> bool:
        """bool: True where stage 1's loss is kept."""
        return self.region_head is not None

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """See :class:`TokenPretrainer`."""
        points, tokens = self.tokenize(**inputs)
        targets = self.target_generator(points, tokens, data_samples)
        losses = self.compute_losses(
            self.predict(points, tokens), tokens, targets)
        if self.region_head is not None:
            encoded = self.backbone.encode_tokens(points, tokens)
            decoded = self.decoder.transformer(encoded, tokens.centers,
                                               tokens.is_padding,
                                               tokens.num_tokens)
            targets = self.region_targets(points, tokens, data_samples)
            losses.update(self.region_head.loss(decoded, targets))
        return losses

    def compute_losses(self, outputs: MaskedPrediction, tokens: PointTokens,
                       targets: Any) -> Dict[str, Tensor]:
        """Compare with the teacher.

        Args:
            outputs (MaskedPrediction): Of :meth:`predict`.
            tokens (PointTokens): All tokens.
            targets (Any): ``TeacherTargets``.

        Returns:
            Dict[str, Tensor]: ``loss_ins``, if there is a global head, and
            ``loss_token``.
        """
        losses: Dict[str, Tensor] = {}
        if self.global_head is not None:
            losses.update(
                self.global_head.loss(outputs.encoded,
                                      outputs.visible.tokens.is_padding,
                                      targets.encoded, tokens.is_padding))
        losses.update(
            self.head.loss(outputs.decoded, targets.decoded,
                           outputs.is_masked))
        return losses
