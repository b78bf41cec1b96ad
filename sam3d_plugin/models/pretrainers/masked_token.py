"""Stage 2: a student predicts the frozen teacher from visible tokens."""
from typing import Any, Dict

from mmdet3d.registry import MODELS
from torch import Tensor

from sam3d_plugin.structures import PointTokens
from ...store.errors import UserError
from .masked import MaskedPointPretrainer, MaskedPrediction

STARTS = ('scratch', 'teacher')


@MODELS.register_module()
class MaskedTokenPretrainer(MaskedPointPretrainer):
    """Masked token prediction (paper, section 3.4).

    L = L_ins + L_token: the scene feature of the visible tokens against the
    teacher's of all tokens, and masked decoder tokens against the teacher's.

    Args:
        backbone (dict): Config of the student's ``TokenEncoder``.
        decoder (dict): Config of a ``MaskedTokenDecoder``.
        global_head (dict): Config of the head of L_ins.
        target_generator (dict): Config of ``TeacherTokenTargets``; the
            teacher is built like the student unless it says otherwise.
        init_student (str): ``'scratch'``, or ``'teacher'`` to start from the
            teacher's weights. Defaults to ``'scratch'``.
        **kwargs (Any): See :class:`MaskedPointPretrainer`.
    """

    def __init__(self,
                 *,
                 backbone: dict,
                 decoder: dict,
                 global_head: dict,
                 target_generator: dict,
                 init_student: str = 'scratch',
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
        super().__init__(
            backbone=backbone,
            decoder=decoder,
            target_generator={
                'modules': modules,
                **target_generator
            },
            **kwargs)
        self.global_head = MODELS.build(global_head)
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

    def compute_losses(self, outputs: MaskedPrediction, tokens: PointTokens,
                       targets: Any) -> Dict[str, Tensor]:
        """Compare with the teacher.

        Args:
            outputs (MaskedPrediction): Of :meth:`predict`.
            tokens (PointTokens): All tokens.
            targets (Any): ``TeacherTargets``.

        Returns:
            Dict[str, Tensor]: ``loss_ins`` and ``loss_token``.
        """
        loss_ins = self.global_head.loss(outputs.encoded,
                                         outputs.visible.tokens.is_padding,
                                         targets.encoded, tokens.is_padding)
        loss_token = self.head.loss(outputs.decoded, targets.decoded,
                                    outputs.is_masked)
        return {**loss_ins, **loss_token}
